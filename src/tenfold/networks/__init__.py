"""The description of a network, which both engines build: layers, shapes, parameters, first weights."""
