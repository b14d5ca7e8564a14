"""MODELS: the one registry of models, name to class."""

from torch import nn

from node.registry import Registry

MODELS: Registry[type[nn.Module]] = Registry("model", type, package="node.models")
