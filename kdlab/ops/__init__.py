"""Operations on tensors that are not losses, as pure functions."""
