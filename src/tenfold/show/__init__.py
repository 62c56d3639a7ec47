"""The one look of all HTML pages: frame, style, figures as text, pictures and charts inside the page."""
