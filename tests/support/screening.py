"""Settings of the screen, where a test is not about them."""

from __future__ import annotations

from filters.rights.rules import RightsSettings
from filters.screen.images import ImageSettings
from filters.screen.questions import QuestionSettings
from flows.stages.screen import ScreenSettings

SETTINGS = ScreenSettings(
    images=ImageSettings().bounds(28, 200), questions=QuestionSettings(), rights=RightsSettings(), cutoff_len=20_480
)
