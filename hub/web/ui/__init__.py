"""The dashboard: pages rendered on the server from Jinja2 templates, one stylesheet, one small script.

Every page works without the script: links are links, changes are forms that answer 303. A plugin draws its own
panels and pages with the same pieces: `environment`, `render` and `View`.
"""

from __future__ import annotations
