"""Forms: a template of named fields, matched to photos of the same form, and read."""
