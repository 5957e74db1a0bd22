"""Writes a GGUF model of random weights, for servers that only have to run: tiny.py FILE."""
import sys

import gguf
import numpy as np

WIDTH, FEED, HEADS, CONTEXT = 32, 64, 2, 2048
writer = gguf.GGUFWriter(sys.argv[1], "llama")
writer.add_name("random")
writer.add_context_length(CONTEXT)
writer.add_embedding_length(WIDTH)
writer.add_block_count(1)
writer.add_feed_forward_length(FEED)
writer.add_head_count(HEADS)
writer.add_head_count_kv(HEADS)
writer.add_layer_norm_rms_eps(1e-5)
writer.add_rope_dimension_count(WIDTH // HEADS)
# Tokens: three special ones, and each byte.
tokens = [b"<unk>", b"<s>", b"</s>"] + [f"<0x{byte:02X}>".encode() for byte in range(256)]
kinds = [gguf.TokenType.UNKNOWN] + [gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.BYTE] * 256
writer.add_tokenizer_model("llama")
writer.add_token_list(tokens)
writer.add_token_scores([0.0] * len(tokens))
writer.add_token_types(kinds)
writer.add_bos_token_id(1)
writer.add_eos_token_id(2)
random = np.random.default_rng(1)


def tensor(name, *shape):
    writer.add_tensor(name, random.normal(0, 0.1, shape).astype(np.float32))


tensor("token_embd.weight", len(tokens), WIDTH)
for name in ["attn_q", "attn_k", "attn_v", "attn_output"]:
    tensor(f"blk.0.{name}.weight", WIDTH, WIDTH)
tensor("blk.0.ffn_gate.weight", FEED, WIDTH)
tensor("blk.0.ffn_up.weight", FEED, WIDTH)
tensor("blk.0.ffn_down.weight", WIDTH, FEED)
for name in ["blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"]:
    writer.add_tensor(f"{name}.weight", np.ones(WIDTH, dtype=np.float32))
tensor("output.weight", len(tokens), WIDTH)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
