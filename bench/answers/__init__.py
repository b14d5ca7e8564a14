"""The answers of the command line's verbs: each verb calls one function of these modules."""
