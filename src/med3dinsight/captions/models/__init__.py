"""Chat models by the way they are reached: an endpoint over HTTP, a model in this process, files of a batch."""
