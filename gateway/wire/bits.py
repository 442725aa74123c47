"""Word masks. Python's integers do not wrap, C's do: every sum that may overflow is masked with one of these."""

M16 = 0xFFFF
M32 = 0xFFFFFFFF
M64 = 0xFFFFFFFFFFFFFFFF
V4_MAPPED = 0xFFFF00000000  # ::ffff:0:0/96 in the low word of a 128-bit address (RFC 4291 section 2.5.5.2)

# SipHash's starting state, "somepseudorandomlygeneratedbytes", and its last block for messages of 15, 16 and 39 bytes.
SIP_0 = 0x736F6D6570736575
SIP_1 = 0x646F72616E646F6D
SIP_2 = 0x6C7967656E657261
SIP_3 = 0x7465646279746573
LENGTH_15 = 15 << 56
LENGTH_16 = 16 << 56
LENGTH_39 = 39 << 56
