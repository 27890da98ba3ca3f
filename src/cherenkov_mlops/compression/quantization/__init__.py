"""Networks that compute in 8 bits: trained to, or with ranges found after the training."""
