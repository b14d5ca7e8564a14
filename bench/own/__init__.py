"""A user's own problems, backends, solvers and gradient modes: templates, and the claims that `check` tests."""
