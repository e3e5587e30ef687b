// Keeps the layer a library while it has no other source.
