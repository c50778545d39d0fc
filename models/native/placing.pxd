# Where Kafka's clients put a key: https://kafka.apache.org/documentation/#producerconfigs_partitioner.class
# names murmur2, Austin Appleby's MurmurHash2 with a seed of Kafka's own.

cdef enum:
    MIX = 0x5BD1E995
    SEED = 0x9747B28C


cdef inline unsigned int partition_of(
    const char* key, Py_ssize_t size, unsigned int partitions
) noexcept nogil:
    """The partition of a key, among so many."""
    cdef unsigned int mixed = SEED ^ <unsigned int>size, four, place
    cdef const unsigned char* at = <const unsigned char*>key
    cdef Py_ssize_t left = size
    while left >= 4:
        four = at[0] | (<unsigned int>at[1] << 8) | (<unsigned int>at[2] << 16) | (
            <unsigned int>at[3] << 24
        )
        four *= MIX
        four ^= four >> 24
        four *= MIX
        mixed = (mixed * MIX) ^ four
        at += 4
        left -= 4
    if left:
        for place in range(left):
            mixed ^= <unsigned int>at[place] << (8 * place)
        mixed *= MIX
    mixed ^= mixed >> 13
    mixed *= MIX
    mixed ^= mixed >> 15
    return (mixed & 0x7FFFFFFF) % partitions
