# Written by setup.py from sctp.py.
cdef extern from *:
    """
    #define GATEWAY_SCTP_CHECKSUM 0x8
    #define GATEWAY_SCTP_HEADER 0xc
    #define GATEWAY_SCTP_POLYNOMIAL 0x82f63b78ULL
    """
    enum:
        CHECKSUM "GATEWAY_SCTP_CHECKSUM"
        HEADER "GATEWAY_SCTP_HEADER"
    const unsigned long long POLYNOMIAL "GATEWAY_SCTP_POLYNOMIAL"
