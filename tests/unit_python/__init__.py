"""Tests of the Python client, and of the golden vectors through it."""
