"""Read-outs of a representation, used while training and in evaluation: pure functions of tensors and arrays."""
