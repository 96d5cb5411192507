"""A stand-in for Instructure's Data Access Platform: the API of Canvas Data 2, served from a folder.

Strict as the real one is known to be: what its client sends is checked, and so is how often.
"""
