"""The figures of image_quality.cpp, by scikit-image (0.26): python3 image_quality_skimage.py"""
import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity


def plane(y, x, phase, scale=0.4):
    i = np.arange(y * x, dtype=np.float64)
    return (0.5 + scale * np.sin(0.37 * i + phase) * np.cos(0.011 * i)).reshape(y, x).astype(np.float32)


for y, x in (11, 11), (16, 24), (48, 31):
    for other in plane(y, x, 0.8), plane(y, x, 0.0, 0.3), np.zeros((y, x), np.float32):
        a = plane(y, x, 0.0)
        psnr = peak_signal_noise_ratio(a.astype(np.float64), other.astype(np.float64), data_range=1)
        ssim = structural_similarity(a.astype(np.float64), other.astype(np.float64), data_range=1, win_size=11,
                                     gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
        print(f"{{{y}, {x}, {psnr:.12f}, {ssim:.12f}}},")
