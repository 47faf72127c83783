"""Tests of the page, in a package so that one browser serves all of them and no others."""
