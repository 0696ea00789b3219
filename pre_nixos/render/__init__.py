"""Graphs and plans as text and pictures: pure, and styled by data that each output turns into what it can show."""
