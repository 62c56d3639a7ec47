"""Forms: a template of named fields, laid onto photos of the same form, and read."""
