"""Where logs come from: each module reads one kind of source into a :class:`dien.data.log.Log`."""
