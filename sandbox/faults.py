"""(Model faults belong here: class BadFault, Fault, Kind -- write them again, they were overwritten by another file.
The faults of the LINES of the faces -- Act, Fault, Faults, Moment -- are in sandbox/lines.py now.)"""
