// Every kernel of the project, one line each: the contents page. Included with KERNEL defined as needed; the
// table of each device, its declarations, benches, profiles and tests are all expanded from here.
//   KERNEL(name, Args): void name(const Args&)

// attention.h: self-attention with policy
KERNEL(attention_forward, AttentionForward)
KERNEL(attention_backward, AttentionBackward)
// elementwise.h
KERNEL(accumulate, Accumulate)
KERNEL(fill, Fill)
KERNEL(gelu_forward, GeluForward)
KERNEL(gelu_backward, GeluBackward)
KERNEL(exp_forward, ExpForward)
KERNEL(exp_backward, ExpBackward)
// linear.h: matrix products by the device's library
KERNEL(linear_forward, LinearForward)
KERNEL(linear_backward, LinearBackward)
// norm.h
KERNEL(layer_norm_forward, LayerNormForward)
KERNEL(layer_norm_backward, LayerNormBackward)
// tubelet.h: between clips and tubelets
KERNEL(clip_to_tubelets, ClipToTubelets)
KERNEL(tubelets_to_clip, TubeletsToClip)
KERNEL(frames_to_tubelets, FramesToTubelets)
KERNEL(bound_pixels_forward, BoundPixelsForward)
KERNEL(bound_pixels_backward, BoundPixelsBackward)
// select.h: which tokens stay
KERNEL(gumbel_noise, GumbelNoise)
KERNEL(decide_forward, DecideForward)
KERNEL(decide_backward, DecideBackward)
KERNEL(top_k, TopK)
KERNEL(compact, Compact)
KERNEL(invert_rows, InvertRows)
KERNEL(gather_rows, GatherRows)
KERNEL(scatter_rows, ScatterRows)
// reduce.h: means over kept tokens, sums over clips
KERNEL(masked_mean_forward, MaskedMeanForward)
KERNEL(masked_mean_backward, MaskedMeanBackward)
KERNEL(aggregate_forward, AggregateForward)
KERNEL(aggregate_backward, AggregateBackward)
KERNEL(add_row_forward, AddRowForward)
KERNEL(sum_rows, SumRows)
KERNEL(scale_clips, ScaleClips)
// loss.h
KERNEL(log_softmax_forward, LogSoftmaxForward)
KERNEL(log_softmax_backward, LogSoftmaxBackward)
KERNEL(cross_entropy_forward, CrossEntropyForward)
KERNEL(cross_entropy_backward, CrossEntropyBackward)
KERNEL(binary_cross_entropy_forward, BinaryCrossEntropyForward)
KERNEL(binary_cross_entropy_backward, BinaryCrossEntropyBackward)
KERNEL(ratio_loss_forward, RatioLossForward)
KERNEL(ratio_loss_backward, RatioLossBackward)
KERNEL(squared_error_forward, SquaredErrorForward)
KERNEL(squared_error_backward, SquaredErrorBackward)
// optimizer.h
KERNEL(adamw, AdamW)
KERNEL(clip_norm, ClipNorm)
// convolution.h: by the device's library
KERNEL(convolution_forward, ConvolutionForward)
KERNEL(convolution_backward, ConvolutionBackward)
// image.h: what convolutional networks need besides
KERNEL(relu_forward, ReluForward)
KERNEL(relu_backward, ReluBackward)
KERNEL(sigmoid_forward, SigmoidForward)
KERNEL(sigmoid_backward, SigmoidBackward)
KERNEL(shift_channels, ShiftChannels)
KERNEL(sum_channels, SumChannels)
KERNEL(copy_rows, CopyRows)
KERNEL(swap_axes, SwapAxes)
KERNEL(max_pool_forward, MaxPoolForward)
KERNEL(max_pool_backward, MaxPoolBackward)
KERNEL(average_pool_forward, AveragePoolForward)
KERNEL(average_pool_backward, AveragePoolBackward)
KERNEL(upsample_forward, UpsampleForward)
KERNEL(upsample_backward, UpsampleBackward)
// image_norm.h: batch norm and instance norm
KERNEL(image_norm_forward, ImageNormForward)
KERNEL(image_norm_backward, ImageNormBackward)
