"""faceorch: one portrait and one clip in, a compared video from every talking-head network out."""

__version__ = "0.1.0"
