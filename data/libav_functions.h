// FFmpeg's functions, each looked up in its library when it is first called. Its libraries bring 130 others
// with them, which would be loaded before main() by every program of ours: 40 ms of a `--help` that plays no
// video. Inside namespace stp these objects hide the functions of the same names; what is missing from the list
// is an error of the linker.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavformat/avformat.h>
#include <libavutil/avstring.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

namespace stp {

// The address of `name` in the library of that soname. @throws Error naming the library, if it cannot be loaded
// or lacks the function.
void* libav_symbol(const char* library, const char* name);

}  // namespace stp

#define STP_SONAME(name, major) "lib" #name ".so." AV_STRINGIFY(major)
#define STP_LIBAV(library, function)                                                        \
  inline constexpr auto function = [](auto... arguments) {                                  \
    static const auto address =                                                             \
        reinterpret_cast<decltype(&::function)>(libav_symbol(library##_soname, #function)); \
    return address(arguments...);                                                           \
  };

namespace stp {

// The libraries of the headers this was compiled with; another major version has other structures.
inline constexpr char avutil_soname[] = STP_SONAME(avutil, LIBAVUTIL_VERSION_MAJOR);
inline constexpr char avcodec_soname[] = STP_SONAME(avcodec, LIBAVCODEC_VERSION_MAJOR);
inline constexpr char avformat_soname[] = STP_SONAME(avformat, LIBAVFORMAT_VERSION_MAJOR);
inline constexpr char swscale_soname[] = STP_SONAME(swscale, LIBSWSCALE_VERSION_MAJOR);

STP_LIBAV(avutil, av_color_space_name)
STP_LIBAV(avutil, av_dict_free)
STP_LIBAV(avutil, av_dict_get)
STP_LIBAV(avutil, av_dict_set)
STP_LIBAV(avutil, av_dict_set_int)
STP_LIBAV(avutil, av_frame_alloc)
STP_LIBAV(avutil, av_frame_free)
STP_LIBAV(avutil, av_frame_get_buffer)
STP_LIBAV(avutil, av_frame_get_side_data)
STP_LIBAV(avutil, av_frame_make_writable)
STP_LIBAV(avutil, av_frame_move_ref)
STP_LIBAV(avutil, av_freep)
STP_LIBAV(avutil, av_get_media_type_string)
STP_LIBAV(avutil, av_get_pix_fmt_name)
STP_LIBAV(avutil, av_log_set_callback)
STP_LIBAV(avutil, av_log_set_level)
STP_LIBAV(avutil, av_malloc)
STP_LIBAV(avutil, av_match_list)
STP_LIBAV(avutil, av_max_alloc)
STP_LIBAV(avutil, av_opt_set)
STP_LIBAV(avutil, av_opt_set_int)
STP_LIBAV(avutil, av_pix_fmt_count_planes)
STP_LIBAV(avutil, av_pix_fmt_desc_get)
STP_LIBAV(avutil, av_reduce)
STP_LIBAV(avutil, av_strerror)

STP_LIBAV(avcodec, av_bsf_alloc)
STP_LIBAV(avcodec, av_bsf_free)
STP_LIBAV(avcodec, av_bsf_get_by_name)
STP_LIBAV(avcodec, av_bsf_init)
STP_LIBAV(avcodec, av_bsf_receive_packet)
STP_LIBAV(avcodec, av_bsf_send_packet)
STP_LIBAV(avcodec, av_packet_alloc)
STP_LIBAV(avcodec, av_packet_free)
STP_LIBAV(avcodec, av_packet_unref)
STP_LIBAV(avcodec, avcodec_alloc_context3)
STP_LIBAV(avcodec, avcodec_find_decoder)
STP_LIBAV(avcodec, avcodec_find_encoder_by_name)
STP_LIBAV(avcodec, avcodec_free_context)
STP_LIBAV(avcodec, avcodec_get_class)
STP_LIBAV(avcodec, avcodec_get_name)
STP_LIBAV(avcodec, avcodec_open2)
STP_LIBAV(avcodec, avcodec_parameters_copy)
STP_LIBAV(avcodec, avcodec_parameters_from_context)
STP_LIBAV(avcodec, avcodec_parameters_to_context)
STP_LIBAV(avcodec, avcodec_receive_frame)
STP_LIBAV(avcodec, avcodec_receive_packet)
STP_LIBAV(avcodec, avcodec_send_frame)
STP_LIBAV(avcodec, avcodec_send_packet)
STP_LIBAV(avcodec, avcodec_version)

STP_LIBAV(avformat, av_probe_input_buffer2)
STP_LIBAV(avformat, av_read_frame)
STP_LIBAV(avformat, av_stream_get_side_data)
STP_LIBAV(avformat, av_write_frame)
STP_LIBAV(avformat, av_write_trailer)
STP_LIBAV(avformat, avformat_alloc_context)
STP_LIBAV(avformat, avformat_alloc_output_context2)
STP_LIBAV(avformat, avformat_close_input)
STP_LIBAV(avformat, avformat_find_stream_info)
STP_LIBAV(avformat, avformat_free_context)
STP_LIBAV(avformat, avformat_get_class)
STP_LIBAV(avformat, avformat_new_stream)
STP_LIBAV(avformat, avformat_open_input)
STP_LIBAV(avformat, avformat_version)
STP_LIBAV(avformat, avformat_write_header)
STP_LIBAV(avformat, avio_alloc_context)
STP_LIBAV(avformat, avio_context_free)
STP_LIBAV(avformat, avio_flush)

STP_LIBAV(swscale, sws_alloc_context)
STP_LIBAV(swscale, sws_freeContext)
STP_LIBAV(swscale, sws_getCoefficients)
STP_LIBAV(swscale, sws_init_context)
STP_LIBAV(swscale, sws_isSupportedInput)
STP_LIBAV(swscale, sws_scale)
STP_LIBAV(swscale, sws_setColorspaceDetails)
STP_LIBAV(swscale, swscale_version)

}  // namespace stp

#undef STP_LIBAV
#undef STP_SONAME
