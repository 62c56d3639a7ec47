"""Why a network does not learn, and the recipe that fixes it."""
