"""Measures of how good a result is. Each takes the range of its images; none guesses it."""

from gatedinpaint.metrics.bootstrap import Interval, bootstrap_interval
from gatedinpaint.metrics.evaluation import InpaintingEvaluation
from gatedinpaint.metrics.feature_statistics import FeatureStatistics
from gatedinpaint.metrics.fid import FID, InceptionFeatures
from gatedinpaint.metrics.frechet import FrechetDistance, frechet_distance
from gatedinpaint.metrics.identity import identity_similarity
from gatedinpaint.metrics.lpips import LPIPS
from gatedinpaint.metrics.psnr import psnr
from gatedinpaint.metrics.report import InpaintingReport, summary_table
from gatedinpaint.metrics.ssim import ssim

__all__ = [
    "FID",
    "LPIPS",
    "FeatureStatistics",
    "FrechetDistance",
    "InceptionFeatures",
    "InpaintingEvaluation",
    "InpaintingReport",
    "Interval",
    "bootstrap_interval",
    "frechet_distance",
    "identity_similarity",
    "psnr",
    "ssim",
    "summary_table",
]
