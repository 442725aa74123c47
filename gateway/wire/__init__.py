"""What bytes mean: offsets named once, lengths checked once, fields rewritten in place. Knows no flow and no rule."""
