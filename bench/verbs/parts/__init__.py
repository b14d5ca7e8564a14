"""The parts that several verbs share: parameters, help, and the messages about wrong usage."""
