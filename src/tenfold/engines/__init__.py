"""What an engine is (base), and how a recipe gets one (create, preload)."""
