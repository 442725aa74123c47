"""When things happen: the pump, timers, reload, events, counters, the control API. Decides nothing about a packet."""
