"""What the verbs of the command line answer: each verb calls one function of these."""
