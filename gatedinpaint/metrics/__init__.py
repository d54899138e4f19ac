"""Measures of how good a result is. Each takes the range of its images; none guesses it."""

from gatedinpaint.metrics.feature_statistics import FeatureStatistics
from gatedinpaint.metrics.frechet import FrechetDistance, frechet_distance
from gatedinpaint.metrics.lpips import LPIPS
from gatedinpaint.metrics.psnr import psnr
from gatedinpaint.metrics.ssim import ssim

__all__ = ["LPIPS", "FeatureStatistics", "FrechetDistance", "frechet_distance", "psnr", "ssim"]
