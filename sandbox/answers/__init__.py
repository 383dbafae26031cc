"""The answers of the PVE stand-in, one file for each thing that is asked about. `pve_answers` joins them."""
