"""The sections of the page: each turns the inputs into texts, tables, charts and pictures; templates lay them out."""
