// Every kernel of the project, one line each: the contents page. Included with KERNEL defined as needed; the
// table of each device, its declarations, benches, profiles and tests are all expanded from here.
//   KERNEL(name, Args): void name(const Args&)
KERNEL(attention_forward, AttentionForward)
KERNEL(attention_backward, AttentionBackward)
KERNEL(accumulate, Accumulate)
KERNEL(gelu_forward, GeluForward)
KERNEL(gelu_backward, GeluBackward)
