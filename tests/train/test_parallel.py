"""Batches on the devices of a host."""

import jax.numpy as jnp
import numpy as np

from train.parallel import shard, unshard


def test_sharded_batches_come_back_in_order():
    x = np.arange(48).reshape(16, 3)
    assert (unshard(jnp.asarray(shard(x))) == x).all()
