"""The description of the API: what a handler says of itself, the document, the page."""
