// Every rung, from the plainest upwards: RUNG(contract's function, Args, rung): void ladder::rung(const Args&)

// attention.h, forward, f32
RUNG(attention_forward, AttentionForward, attention_1_naive)
RUNG(attention_forward, AttentionForward, attention_2_tiled)
RUNG(attention_forward, AttentionForward, attention_3_online)
RUNG(attention_forward, AttentionForward, attention_4_registers)
// tubelet.h, f32
RUNG(clip_to_tubelets, ClipToTubelets, tubelets_1_naive)
RUNG(clip_to_tubelets, ClipToTubelets, tubelets_2_coalesced)
RUNG(clip_to_tubelets, ClipToTubelets, tubelets_3_blocks)
RUNG(clip_to_tubelets, ClipToTubelets, tubelets_4_runs)
// select.h
RUNG(top_k, TopK, top_k_1_repeated)
RUNG(top_k, TopK, top_k_2_ranks)
RUNG(top_k, TopK, top_k_3_shared)
RUNG(top_k, TopK, top_k_4_quads)
