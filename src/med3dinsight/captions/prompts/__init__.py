"""Prompts as versioned files, and the structured answer that they ask for."""
