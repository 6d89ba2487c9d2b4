"""What the HTML pages share: style, template, charts and pictures."""
