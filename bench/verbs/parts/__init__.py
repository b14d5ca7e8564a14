"""What several verbs share: parameters, help, and how wrong usage is answered."""
