# A batch's memory as C pointers, and the offload header's fields; included by _syscalls.pyx.

cdef class Frames:
    """Pointers into one batch, taken once and good as long as this object lives."""

    def __init__(self, batch):
        self.batch = batch
        self.u8_view, self.start_view, self.length_view = batch.slab, batch.start, batch.length
        self.out_view, self.neighbour_view = batch.out, batch.neighbour
        self.capacity = batch.capacity
        self.slab, self.start, self.length = &self.u8_view[0], &self.start_view[0], &self.length_view[0]
        self.out, self.neighbour = &self.out_view[0], &self.neighbour_view[0]
        for index in range(self.capacity):
            if self.start[index] < HEADROOM or self.start[index] + FRAME > <size_t>self.u8_view.shape[0]:
                raise ValueError("a slot lies outside the slab")


cdef void set_header_length(uint8_t *packet, uint32_t length) noexcept nogil:
    """Make hdr_len of the offload header before `packet` the length of all headers, for a packet to be completed or
    segmented. 0 makes the kernel copy a superpacket into one linear buffer; what was received may be any hint."""
    cdef uint8_t *offload = packet - OFFLOAD
    cdef uint32_t start = 0, headers
    cdef uint16_t value
    memcpy(&value, offload + 6, 2)
    if offload[0] & NEEDS_CHECKSUM:
        start = value
    elif offload[1] == 0:
        return
    elif packet[0] >> 4 == 4:
        start = (packet[0] & 15) * 4
    else:
        start = 40
    if start + 20 > length and start + 8 > length:
        return
    memcpy(&value, offload + 8, 2)
    if (offload[1] & 0x7F) in (1, 4) or (offload[1] == 0 and value == 16):
        headers = start + (packet[start + 12] >> 4) * 4 if start + 20 <= length else length
    else:
        headers = start + 8
    value = <uint16_t>(headers if headers < length else length)
    memcpy(offload + 2, &value, 2)


cdef void lower(uint8_t *field) noexcept nogil:
    """An offset counted from the Ethernet header becomes one counted from the IP header."""
    cdef uint16_t value
    memcpy(&value, field, 2)
    value = value - ETHERNET if value >= ETHERNET else 0
    memcpy(field, &value, 2)


cdef void lift(uint8_t *field) noexcept nogil:
    cdef uint16_t value
    memcpy(&value, field, 2)
    value += ETHERNET
    memcpy(field, &value, 2)
