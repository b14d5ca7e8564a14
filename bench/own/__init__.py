"""A user's own problems, backends and solvers: files to start from, and what a good one keeps."""
