from __future__ import annotations

import numpy as np
import pytest
import torch

from med3dinsight.encoders.encoder import token_positions
from med3dinsight.errors import ConfigError
from med3dinsight.pretraining.masking import grow
from med3dinsight.pretraining.peers.genesis import spoil
from med3dinsight.pretraining.peers.mae import cut_patches, normalise_blocks
from med3dinsight.pretraining.peers.token_decoder import TokenDecoder, wave_positions


def test_patches_hold_the_voxels_of_their_cube_in_the_encoders_order() -> None:
    volumes = torch.rand(2, 1, 8, 4, 12)
    patches = cut_patches(volumes, 4)
    assert patches.shape == (2, 6, 64)
    for number, (x, y, z) in enumerate(np.ndindex(2, 1, 3)):
        cube = volumes[:, 0, 4 * x : 4 * x + 4, 4 * y : 4 * y + 4, 4 * z : 4 * z + 4]
        assert torch.equal(patches[:, number], cube.flatten(1))


def test_mae_shows_a_vision_transformer_the_kept_patches_only(make) -> None:
    objective, pool = make("mae")
    inputs = objective.draw(pool, 0)
    assert objective.kept == 2, "a quarter of eight"
    seen = []
    forward = objective.encoder.forward
    objective.encoder.forward = lambda volume, keep=None: (seen.append(keep), forward(volume, keep))[1]
    before = objective.represent(inputs)
    assert torch.equal(seen[0], inputs["order"][:, :2])
    # What is hidden is a target and no input: other voxels there change the error, and not what is predicted.
    patch, (x, y, z) = int(inputs["order"][0, 5]), (0, 0, 0)
    x, y, z = (8 * int(index) for index in np.unravel_index(patch, (2, 2, 2)))
    changed = {**inputs, "volumes": inputs["volumes"].clone()}
    changed["volumes"][0, 0, x : x + 8, y : y + 8, z : z + 8] += 1
    after = objective.represent(changed)
    assert before["error"][0] != after["error"][0]
    assert torch.equal(before["error"][1:], after["error"][1:])


def test_mae_counts_hidden_patches_only(make) -> None:
    """A decoder that gives zeros errs by the mean square of the hidden patches."""
    objective, pool = make("mae")
    inputs = objective.draw(pool, 1)
    objective.decoder.predict.weight.data.zero_()
    objective.decoder.predict.bias.data.zero_()
    represented = objective.represent(inputs)
    patches = cut_patches(inputs["volumes"], 8)
    for row, order in enumerate(inputs["order"]):
        hidden = patches[row, order[2:]]
        assert represented["error"][row].item() == pytest.approx(hidden.square().mean().item(), rel=1e-5)
        assert represented["guess"][row].item() == pytest.approx(hidden.var(correction=0).item(), rel=1e-4)


def test_dense_mae_empties_blocks_and_counts_them_only(make) -> None:
    objective, pool = make("mae", encoder="conv_tiny")
    inputs = objective.draw(pool, 0)
    hidden = grow(inputs["masks"], 8, (16, 16, 16))
    assert hidden.float().mean().item() == pytest.approx(0.75)
    seen = []
    forward = objective.encoder.forward
    objective.encoder.forward = lambda volume: (seen.append(volume), forward(volume))[1]
    objective.decoder.outputs.weight.data.zero_()
    objective.decoder.outputs.bias.data.zero_()
    error = objective.represent(inputs)["error"]
    assert not seen[0][hidden].any()
    assert torch.equal(seen[0][~hidden], inputs["volumes"][~hidden])
    for row, volume in enumerate(inputs["volumes"]):
        assert error[row].item() == pytest.approx(volume[hidden[row]].square().mean().item(), rel=1e-5)


@pytest.mark.parametrize("encoder", ["vit_tiny", "conv_tiny"])
def test_normalised_targets_make_every_patch_as_hard(make, encoder: str) -> None:
    objective, pool = make("mae", encoder=encoder, normalized_targets=True)
    guess = objective.represent(objective.draw(pool, 0))["guess"]
    assert torch.allclose(guess, torch.ones(4), atol=0.02)


def test_blocks_are_normalised_each_and_cut_ones_by_what_they_have() -> None:
    volumes = torch.rand(1, 1, 10, 8, 8)
    normal = normalise_blocks(volumes, 8)
    for part in (normal[:, :, :8], normal[:, :, 8:]):
        assert part.mean().item() == pytest.approx(0, abs=1e-4)
        assert part.var(correction=0).item() == pytest.approx(1, rel=1e-2)


def test_the_decoder_puts_kept_tokens_in_their_place() -> None:
    """With its blocks switched off, a kept token's prediction is its own, and dropped ones differ by place alone."""
    torch.manual_seed(0)
    decoder = TokenDecoder(64, 4)
    decoder.blocks = torch.nn.ModuleList()
    order = torch.tensor([[5, 2, 0, 1, 3, 4, 6, 7]])
    first, second = torch.rand(2, 1, 2, 64)
    before, after = decoder(first, order, (2, 2, 2)), decoder(second, order, (2, 2, 2))
    assert (before != after).any(2)[0].tolist() == [number in (5, 2) for number in range(8)]


def test_positions_of_the_decoder_tell_all_tokens_apart() -> None:
    table = wave_positions((3, 4, 5), 66)
    apart = torch.cdist(table, table) + torch.eye(60)
    assert apart.min() > 0.1
    assert torch.allclose(table[0, :33].square() + table[0, 33:].square(), torch.ones(33))
    assert len(token_positions((3, 4, 5))) == len(table)


def test_a_crop_of_one_patch_has_nothing_to_hide(make) -> None:
    with pytest.raises(ConfigError, match="a single patch of 16"):
        make("mae", encoder="vit")


def test_simmim_covers_blocks_by_learned_voxels_and_lays_cells_in_place(make) -> None:
    objective, pool = make("simmim")
    inputs = objective.draw(pool, 0)
    objective.mask_token.data = torch.rand(8, 8, 8)
    cover = objective._cover((16, 16, 16))
    assert all(torch.equal(cover[x : x + 8, 8:, :8], objective.mask_token) for x in (0, 8))
    cells = torch.rand(1, 8, 512)
    objective.head = torch.nn.Identity()
    laid = objective._rebuild(type("Encoded", (), {"tokens": cells, "grid": (2, 2, 2)}))
    assert torch.equal(cut_patches(laid[:, None], 8), cells)
    covered = grow(inputs["masks"], 8, (16, 16, 16))
    assert covered.float().mean().item() == pytest.approx(5 / 8), "0.6 of eight blocks"


def test_simmims_learned_block_learns(make, train) -> None:
    objective, pool = make("simmim")
    before = objective.mask_token.detach().clone()
    train(objective, pool, 2)
    assert not torch.equal(before, objective.mask_token)


def test_genesis_spoils_nearly_always_and_its_target_is_the_plain_crop(make) -> None:
    objective, pool = make("genesis")
    inputs = objective.draw(pool, 0)
    plain = {tuple(pool.voxels(crop).ravel()[:64]) for crops in pool.rows.values() for crop in crops}
    assert all(tuple((volume * 255).round().byte().flatten()[:64].tolist()) in plain for volume in inputs["volumes"])
    volume = np.random.default_rng(0).random((16, 16, 16), dtype=np.float32)
    same = [np.array_equal(spoil(np.random.default_rng(seed), volume), volume) for seed in range(100)]
    assert sum(same) < 6
