"""Meshes, logical-axis rules and compilation."""
