# What C has already; order.py is its interpreted twin.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "<byteswap.h>" nogil:
    uint16_t swap16 "bswap_16" (uint16_t value) noexcept
    uint32_t swap32 "bswap_32" (uint32_t value) noexcept
    uint64_t swap64 "bswap_64" (uint64_t value) noexcept

ctypedef uint8_t *Span8
ctypedef uint32_t *Span32
ctypedef uint64_t *Span64

cdef extern from *:
    """
    static __attribute__((cold, noinline, unused)) void GATEWAY_no_such_span(void) {
        PyGILState_STATE held = PyGILState_Ensure();
        PyErr_SetString(PyExc_IndexError, "Out of bounds on a span");
        PyGILState_Release(held);
    }
    /* one look at all of it; a `first` below zero is a large number, and its end overflows or is too large */
    #define GATEWAY_SPAN(view, first, count, type) ({ \\
        type *words_ = (type *)(view).data + (first); \\
        if (words_ == NULL) __builtin_unreachable(); \\
        uint64_t end_; \\
        if (__builtin_add_overflow((uint64_t)(first), (uint64_t)(count), &end_) || end_ > (uint64_t)(view).shape[0]) { \\
            GATEWAY_no_such_span(); words_ = NULL; } \\
        words_; })
    #define GATEWAY_SPAN8(view, first, count) GATEWAY_SPAN(view, first, count, uint8_t)
    #define GATEWAY_SPAN32(view, first, count) GATEWAY_SPAN(view, first, count, uint32_t)
    #define GATEWAY_SPAN64(view, first, count) GATEWAY_SPAN(view, first, count, uint64_t)
    """
    Span8 span8 "GATEWAY_SPAN8" (uint8_t[::1] view, uint64_t first, uint64_t count) except NULL nogil
    Span32 span32 "GATEWAY_SPAN32" (uint32_t[::1] view, uint64_t first, uint64_t count) except NULL nogil
    Span64 span64 "GATEWAY_SPAN64" (uint64_t[::1] view, uint64_t first, uint64_t count) except NULL nogil
