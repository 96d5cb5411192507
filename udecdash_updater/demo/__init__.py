"""A made-up university: dumps in the real format, and what must come out of each of them."""
