"""The one seam to the world: questions, answers, steps and deeds, and who carries them out."""
