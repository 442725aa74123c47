"""Word masks. Python's integers do not wrap, C's do: every sum that may overflow is masked with one of these."""

M16 = 0xFFFF
M32 = 0xFFFFFFFF
M64 = 0xFFFFFFFFFFFFFFFF
V4_MAPPED = 0xFFFF00000000  # ::ffff:0:0/96 in the low word of a 128-bit address (RFC 4291 section 2.5.5.2)
