"""Mutation tests: what the tests do not notice when one place of the code is changed."""
